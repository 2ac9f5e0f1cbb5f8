package usage_test

import "unsafe"

// same says whether two texts are one memory.
func same(a, b string) bool { return unsafe.StringData(a) == unsafe.StringData(b) }
