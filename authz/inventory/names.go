package inventory

import (
	"regexp"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
)

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,95}$`)

// reserved names would be ambiguous in paths or in the policy.
var reserved = map[string]bool{
	"api": true, "caller": true, "datasets": true, "spaces": true, "models": true, "settings": true, "other": true,
	"admin": true, "system": true, "healthz": true, "none": true, "all": true,
}

// Fold gives the form under which a name is stored and looked up.
func Fold(name string) string { return authz.Fold(name) }

// CheckName gives a name as it is stored, or says of a field what is wrong with
// it ([*Invalid]).
func CheckName(field, name string) (string, error) { return checkName(field, name) }

// checkName folds and checks a name.
func checkName(field, name string) (string, error) {
	folded := Fold(name)
	switch {
	case name == "":
		return "", &Invalid{field, "is missing"}
	case !validName.MatchString(folded):
		return "", &Invalid{field, "must be 1 to 96 of a-z, 0-9, '.', '_' and '-', and begin with a letter or digit"}
	case reserved[folded]:
		return "", &Invalid{field, "the name " + folded + " is reserved"}
	}
	return folded, nil
}

// checkText checks a text that people wrote.
func checkText(field, text string, limit int) error {
	if len(text) > limit {
		return &Invalid{field, "is too long"}
	}
	if !utf8.ValidString(text) {
		return &Invalid{field, "is not UTF-8"}
	}
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || r == '\u202e' || r == '\u2028' || r == '\u2029' {
			return &Invalid{field, "holds a control character"}
		}
	}
	if HoldsSecret(text) {
		// It would be in the database, in the audit log and in mails.
		return &Invalid{field, "holds the secret of a token: leave it out, and rotate that token"}
	}
	return nil
}

// HoldsSecret says whether an issued secret is in a text: commands refuse it.
func HoldsSecret(text string) bool { return credential.Holds(text) }

func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}
