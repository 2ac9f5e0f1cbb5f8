package inventory

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"

	"github.com/patrol-authz/patrol/authz"
)

// The settings of an organization that the rules of change read. Others are
// the bundle's, or an operator's own.
const (
	// SettingFourEyes (true or false): an approval needs two different people,
	// nobody decides on own tokens, and no token is exempt as admin-created.
	SettingFourEyes = "four_eyes"
	// SettingCooldown: hours between a denial and the owner's next request.
	SettingCooldown = "request_cooldown_hours"
	// SettingAct lists the review rules by which the policy may decide by itself.
	SettingAct = "review_act"
	// SettingGather ("hourly" or "daily"): administrators are mailed new requests
	// together.
	SettingGather = "notify_gather"
)

// The settings that the base bundle reads.
const (
	// SettingAge: days after which a token is refused; 0: no limit.
	SettingAge = "max_token_age_days"
	// SettingLifetime: days that a token may still have before it; 0: no limit.
	SettingLifetime = "max_token_lifetime_days"
	// SettingPublicRead ("anonymous" or "refuse") is what becomes of a refused token
	// on a public route.
	SettingPublicRead = "public_read"
)

// KnownSettings are the settings whose values are checked.
var KnownSettings = []string{SettingFourEyes, SettingCooldown, SettingAct, SettingGather, SettingAge, SettingLifetime, SettingPublicRead}

// DefaultCooldown is how long an owner waits before asking again.
const DefaultCooldown = 24 * time.Hour

const (
	maxSettings     = 100
	maxSettingsJSON = 16 << 10 // bytes: each server keeps them in memory
	maxActRules     = 50
)

// wholeNumbers are the settings that hold one, with their greatest value.
var wholeNumbers = map[string]struct {
	most int
	what string
}{
	SettingAge:      {36500, "must be a whole number of days, 0 for no limit"},
	SettingLifetime: {36500, "must be a whole number of days, 0 for no limit"},
	SettingCooldown: {8760, "must be a whole number of hours, at most 8760"},
}

// CheckSettings checks the settings that patrol knows; its error is an [*Invalid].
// Those that are null are to be taken back.
func CheckSettings(settings map[string]any) error {
	given := maps.Clone(settings)
	maps.DeleteFunc(given, func(_ string, v any) bool { return v == nil })
	return checkSettings(given)
}

// checkSettings checks the settings that patrol knows.
func checkSettings(settings map[string]any) error {
	if len(settings) > maxSettings {
		return &Invalid{"settings", fmt.Sprintf("are more than %d", maxSettings)}
	}
	if text, err := json.Marshal(settings); err != nil || len(text) > maxSettingsJSON {
		return &Invalid{"settings", fmt.Sprintf("are no JSON, or more than %d bytes of it", maxSettingsJSON)}
	} else if HoldsSecret(string(text)) {
		return &Invalid{"settings", "hold the secret of a token: leave it out, and rotate that token"}
	}
	for key, bound := range wholeNumbers {
		v, ok := settings[key]
		if !ok {
			continue
		}
		if n, ok := whole(v); !ok || n < 0 || n > bound.most {
			return &Invalid{"settings." + key, bound.what}
		}
	}
	if v, ok := settings[SettingPublicRead]; ok && v != "anonymous" && v != "refuse" {
		return &Invalid{"settings." + SettingPublicRead, "must be anonymous or refuse"}
	}
	if v, ok := settings[SettingGather]; ok && v != "hourly" && v != "daily" {
		return &Invalid{"settings." + SettingGather, "must be hourly or daily"}
	}
	if v, ok := settings[SettingFourEyes]; ok {
		if _, ok := v.(bool); !ok {
			return &Invalid{"settings." + SettingFourEyes, "must be true or false"}
		}
	}
	if v, ok := settings[SettingAct]; ok {
		if names, ok := texts(v); !ok || len(names) > maxActRules {
			return &Invalid{"settings." + SettingAct, "must be a list of names of review rules"}
		}
	}
	return nil
}

// checkGiven checks the settings that a command gives by the active bundle: a name
// that is nearly a known one was meant to be that, unless a rule reads it.
func (r *rules) checkGiven(settings map[string]any) error {
	reader, _ := r.policies.(SettingsReader)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if settings[name] == nil || reader != nil && reader.ReadsSetting(name) {
			continue
		}
		if meant := nearly(name); meant != "" {
			return &Invalid{"settings." + name, fmt.Sprintf("is no setting that patrol knows, and no rule of the active bundle reads it: did you mean %s?", meant)}
		}
	}
	if reader == nil || reader.ReviewRules() == nil {
		return nil
	}
	names, _ := texts(settings[SettingAct])
	for _, name := range names {
		if there := reader.ReviewRules(); !slices.Contains(there, name) {
			return &Invalid{"settings." + SettingAct, fmt.Sprintf("names %q, which is no review rule of the active bundle; there are %s", name, strings.Join(there, ", "))}
		}
	}
	return nil
}

// nearly is the known setting that a name is most like: but for case and what is
// between its words, or by a slip or two. It is empty where it is one, or like none.
func nearly(name string) string {
	plain := func(s string) string {
		return strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(strings.ToLower(s))
	}
	meant, least := "", 3
	for _, known := range KnownSettings {
		if name == known {
			return ""
		}
		if d := levenshtein.ComputeDistance(plain(name), plain(known)); d < least {
			meant, least = known, d
		}
	}
	return meant
}

// UnreadSettings are those that neither patrol nor a rule of the active bundle
// reads by name.
func UnreadSettings(settings map[string]any, reads func(name string) bool) (unread []string) {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if !slices.Contains(KnownSettings, name) && !reads(name) {
			unread = append(unread, name)
		}
	}
	return unread
}

// whole reads a whole number, as Go or JSON has it.
func whole(v any) (int, bool) {
	switch n := v.(type) {
	case int:
		return n, true
	case float64:
		return int(n), n == float64(int(n))
	}
	return 0, false
}

func texts(v any) ([]string, bool) {
	switch l := v.(type) {
	case []string:
		return l, true
	case []any:
		out := make([]string, len(l))
		for i := range l {
			s, ok := l[i].(string)
			if !ok {
				return nil, false
			}
			out[i] = s
		}
		return out, true
	}
	return nil, false
}

// FourEyes says whether approvals of the organization need two people.
func (o *Organization) FourEyes() bool {
	on, _ := o.Settings[SettingFourEyes].(bool)
	return on
}

// Cooldown is how long an owner waits after a denial before asking again.
func (o *Organization) Cooldown() time.Duration {
	if hours, ok := whole(o.Settings[SettingCooldown]); ok {
		return time.Duration(hours) * time.Hour
	}
	return DefaultCooldown
}

// ActsOn says whether the policy may decide by itself by a review rule.
func (o *Organization) ActsOn(rule string) bool {
	names, _ := texts(o.Settings[SettingAct])
	return slices.Contains(names, rule)
}

func (r *rules) changeSettings(c ChangeSettings) error {
	before, err := r.organization(c.Organization)
	if err != nil {
		return err
	}
	if before.Type == authz.TypeUser {
		return &Invalid{"organization", before.Name + " is a user namespace, which has no settings"}
	}
	o := *before
	o.Settings = maps.Clone(before.Settings)
	if o.Settings == nil {
		o.Settings = map[string]any{}
	}
	for key, v := range c.Settings {
		if err := checkText("settings", key, 64); err != nil {
			return err
		}
		if v == nil {
			delete(o.Settings, key)
		} else {
			o.Settings[key] = v
		}
	}
	if err := checkSettings(o.Settings); err != nil {
		return err
	}
	if err := r.checkGiven(c.Settings); err != nil {
		return err
	}
	r.change.Subject.OrganizationID = o.ID
	if reflect.DeepEqual(o.Settings, before.Settings) || len(o.Settings)+len(before.Settings) == 0 {
		return nil
	}
	o.Version++
	r.change.Records.Organizations = append(r.change.Records.Organizations, &o)
	r.audit(o.ID, "", map[string]any{"settings": c.Settings})
	return nil
}
