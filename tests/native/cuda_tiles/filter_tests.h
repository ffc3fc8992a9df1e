#pragma once

// How many cases of upfirdn2d's tiles went wrong.
int filter_failures();
