package console

import (
	"io/fs"
	"regexp"
	"slices"
	"testing"
)

// TestWhatIsTypedIsNotLostWithTheSession: each field of several lines is among
// those that are shown once more to whom the session ended meanwhile.
func TestWhatIsTypedIsNotLostWithTheSession(t *testing.T) {
	names, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	field, called, found := regexp.MustCompile(`<textarea[^>]*>`), regexp.MustCompile(`\sname="([^"]+)"`), 0
	for _, name := range names {
		text, err := fs.ReadFile(templates, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range field.FindAllString(string(text), -1) {
			found++
			if m := called.FindStringSubmatch(tag); m == nil || !slices.Contains(longest, m[1]) {
				t.Errorf("%s: what is typed into %s is lost with the session", name, tag)
			}
		}
	}
	if found < 5 {
		t.Errorf("%d fields were found", found)
	}
}
