package console

import (
	"net/url"
	"strconv"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// policyForm is a change of policy as it was typed.
type policyForm struct {
	TokenPolicy, When, Date, Enforcement string
	// Existing is what becomes of the tokens that are there: "" (each asks at its
	// next use), ask, or approve_used_within; then with Days and Until.
	Existing, Days, Until string
	// Version is that of the organization for which it was previewed.
	Version int64
	Problem map[string]string
}

// fields of the form, by which it is told whether the change that is saved is
// the one that was previewed.
var policyFields = []string{"token_policy", "when", "date", "enforcement", "existing", "days", "until"}

func readPolicyForm(v url.Values) policyForm {
	days := v.Get("days")
	if days == "" {
		days = "30" // what the field shows at first
	}
	version, _ := strconv.ParseInt(v.Get("version"), 10, 64) // 0: nobody has seen what it does
	return policyForm{
		Version: version, TokenPolicy: v.Get("token_policy"), When: v.Get("when"), Date: v.Get("date"), Enforcement: v.Get("enforcement"),
		Existing: v.Get("existing"), Days: days, Until: v.Get("until"), Problem: map[string]string{},
	}
}

// values are the form's as an address has them: those that matter for what is
// chosen.
func (f *policyForm) values() url.Values {
	all := []string{f.TokenPolicy, f.When, f.Date, f.Enforcement, f.Existing, f.Days, f.Until}
	v := url.Values{"preview": {"1"}}
	for i, name := range policyFields {
		switch {
		case name == "date" && f.When != "date", (name == "days" || name == "until") && f.Existing != inventory.ExistingApprove, all[i] == "":
		default:
			v.Set(name, all[i])
		}
	}
	return v
}

// With is the address of a preview that differs in some fields.
func (f policyForm) With(pairs ...string) string {
	v := f.values()
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return "?" + v.Encode()
}

// Key tells one choice from another.
func (f policyForm) Key() string { return f.values().Encode() }

// command reads the form into a command. What is wrong with it is noted beside
// the fields.
func (f *policyForm) command(o *inventory.OrganizationRow) inventory.SetPolicy {
	cmd := inventory.SetPolicy{Organization: o.Name, TokenPolicy: f.TokenPolicy, Enforcement: f.Enforcement}
	switch f.When {
	case "now":
		if f.TokenPolicy == o.TokenPolicy && o.NextTokenPolicy != "" {
			cmd.TokenPolicy = "" // only the mode changes: the dated change stays
		}
	case "set": // the dated change that is set already
		cmd.TokenPolicy, cmd.Enforcement = "", ""
	case "clear":
		cmd.TokenPolicy, cmd.ClearNext = "", true
	case "date":
		cmd.EnforceAt = f.day("enforce_at", f.Date)
	default:
		f.Problem["when"] = "Choose when."
	}
	switch f.Existing {
	case "":
	case inventory.ExistingAsk:
		cmd.Existing = &inventory.ExistingTokens{Mode: f.Existing}
	case inventory.ExistingApprove:
		days, err := strconv.Atoi(f.Days)
		if err != nil {
			f.Problem["existing_tokens.days"] = "Write how many days, 1 to 365."
		}
		cmd.Existing = &inventory.ExistingTokens{Mode: f.Existing, Days: days, Until: f.day("existing_tokens.until", f.Until)}
	default:
		f.Problem["existing_tokens"] = "Choose what becomes of them."
	}
	return cmd
}

func (f *policyForm) day(field, text string) time.Time {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		f.Problem[field] = "Write the day as 2027-01-31."
	}
	return day
}

// wrong notes what the rules have against the form.
func (f *policyForm) wrong(e *inventory.Invalid) {
	field := e.Field
	if field == "existing_tokens.mode" {
		field = "existing_tokens"
	}
	f.Problem[field] = sentence(e.Problem)
}

// Gentler says whether the change would be enforced at once, so that there is a
// way that breaks nobody yet.
func (f policyForm) Gentler() bool { return f.When == "now" && f.Enforcement == authz.Enforce }
