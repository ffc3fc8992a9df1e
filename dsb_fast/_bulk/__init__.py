"""Datasets on disk: plan, worker, writer, manifest, and reading them back."""
