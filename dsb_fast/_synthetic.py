"""The words and the metadata by which a synthetic image says that it is one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape  # of XML too; xml.sax would bring urllib.request, 15 ms

SYNTHETIC = "Synthetic data: made by a generative model, it belongs to no person. Not for clinical use."
SOFTWARE = "dsb-fast"  # without version, so that files do not change with it

# IPTC's word for "created by a trained algorithm": what platforms and archives look for.
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    '  <rdf:Description rdf:about=""\n'
    '    xmlns:dc="http://purl.org/dc/elements/1.1/"\n'
    '    xmlns:xmp="http://ns.adobe.com/xap/1.0/"\n'
    '    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">\n'
    "   <Iptc4xmpExt:DigitalSourceType>{digital_source_type}</Iptc4xmpExt:DigitalSourceType>\n"
    "   <xmp:CreatorTool>{software}</xmp:CreatorTool>\n"
    '   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>\n'
    '   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">{description}</rdf:li></rdf:Alt></dc:description>\n'
    '   <dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{rights}</rdf:li></rdf:Alt></dc:rights>\n'
    "   <dc:source>{source}</dc:source>\n"
    "  </rdf:Description>\n"
    " </rdf:RDF>\n"
    "</x:xmpmeta>\n"
    '<?xpacket end="r"?>'
)
_HERE = "\ue000"  # stands where the source goes while the rest of the packet is made


def _printable(text) -> str:
    """``text`` without what XML and PNG text can't hold, and short enough for one marker of a JPEG."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:1000])


@dataclass(frozen=True)
class Mark:
    """What the images of one run have in common: the model's name, its title, the weights' licence, the source.

    ``source`` says in words what made the images, such as model, weights and seed.
    """

    model: str
    title: str
    licence: str
    source: str

    @classmethod
    def of(cls, about: dict) -> Mark:
        """From a dataset's recipe, or from ``Generator.info``: model, title, licence, weights_sha256, seed if any."""
        words = [f"model {about.get('model')}"]
        if about.get("weights_sha256"):
            words.append(f"weights {str(about['weights_sha256'])[:16]}")
        if "seed" in about:
            words.append(f"seed {about['seed']}")
        title, licence = about.get("title", "unknown"), about.get("licence", "unknown")
        return cls(*(_printable(text) for text in (about.get("model"), title, licence, ", ".join(words))))

    def source_of(self, first: int | None = None, count: int = 1) -> str:
        """The source with the numbers of the samples that an image shows."""
        if first is None:
            return self.source
        return f"{self.source}, sample {first}" if count == 1 else f"{self.source}, samples {first}-{first + count - 1}"

    @cached_property
    def _packet(self) -> tuple[bytes, bytes]:
        words = {
            "digital_source_type": DIGITAL_SOURCE_TYPE,
            "software": SOFTWARE,
            "title": self.title,
            "description": SYNTHETIC,
            "rights": f"Licence of the weights: {self.licence}",
            "source": _HERE,
        }
        packet = _XMP.format(**{name: escape(text, quote=False) for name, text in words.items()})
        before, _, after = packet.partition(_HERE)
        return before.encode(), after.encode()

    def xmp(self, first: int | None = None, count: int = 1) -> bytes:
        """The XMP packet (ISO 16684-1), UTF-8, of an image that shows ``count`` samples from ``first`` on.

        All but its source is made once for all images.
        """
        before, after = self._packet
        return before + escape(self.source_of(first, count), quote=False).encode() + after

    def texts(self, first: int | None = None, count: int = 1) -> dict[str, str]:
        """Keywords of the PNG specification with their texts."""
        return {
            "Title": self.title,
            "Description": SYNTHETIC,
            "Software": SOFTWARE,
            "Source": self.source_of(first, count),
        }
