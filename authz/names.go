package authz

// Fold is a name as it is stored and looked up: its ASCII letters in lower case.
// Others stay as they are, so that no letter which only looks like one of them,
// or which Unicode folds to one (U+0130, U+212A), leads to somebody's name.
func Fold(name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
