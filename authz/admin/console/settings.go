package console

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// setting is one that has a field. Its words are those of the audit log and of a
// page that cannot be changed.
type setting struct{ Name, Words string }

// known are the settings that have a field, in the order of the page.
var known = []setting{
	{inventory.SettingFourEyes, "approvals need two people"},
	{inventory.SettingCooldown, "hours between a denial and the next request"},
	{inventory.SettingAct, "review rules that decide"},
	{inventory.SettingGather, "new requests in one mail"},
	{inventory.SettingAge, "greatest age in days"},
	{inventory.SettingLifetime, "longest remaining life in days"},
	{inventory.SettingPublicRead, "a refused token on a public route"},
}

// settingsForm are an organization's settings as they were typed, by name.
type settingsForm struct {
	Typed   map[string]string
	Was     map[string]string // as the page showed them first
	Version int64
	Problem map[string]string
	// Others are what others chose meanwhile, where something else was typed.
	Others map[string]string
}

// settings shows the settings that patrol knows, and what else is set.
func (c *Console) settings(w http.ResponseWriter, a *ask) error {
	o, err := c.Queries.Organization(a.Context(), a.organization)
	if err != nil {
		return err
	}
	present := settingsOf(o)
	return c.showSettings(w, a, http.StatusOK, o, settingsForm{Typed: present, Was: present, Version: o.Version}, nil)
}

// settingsOf are an organization's settings as the fields have them.
func settingsOf(o *inventory.OrganizationRow) map[string]string {
	out := map[string]string{}
	for _, s := range known {
		switch v := o.Settings[s.Name].(type) {
		case nil:
		case bool:
			if v {
				out[s.Name] = "on"
			}
		case []any:
			names := make([]string, len(v))
			for i := range v {
				names[i] = written(v[i])
			}
			out[s.Name] = strings.Join(names, " ")
		default:
			out[s.Name] = written(v)
		}
	}
	return out
}

// written is a setting as a field has it.
func written(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}

func (c *Console) showSettings(w http.ResponseWriter, a *ask, status int, o *inventory.OrganizationRow, f settingsForm, conflict *crossed) error {
	others := map[string]string{}
	for key, v := range o.Settings {
		if !slices.ContainsFunc(known, func(s setting) bool { return s.Name == key }) {
			text, err := json.Marshal(v)
			if err != nil {
				return err
			}
			others[key] = string(text)
		}
	}
	unread := map[string]bool{}
	if r := c.Policy.Ruleset(); r != nil {
		for _, name := range inventory.UnreadSettings(o.Settings, r.ReadsSetting) {
			unread[name] = true
		}
	}
	c.show(w, a.Request, a, status, "settings", "Settings of "+o.Name, map[string]any{
		"Organization": o, "Form": f, "Others": others, "Unread": unread, "Known": known, "Present": settingsOf(o), "Conflict": conflict,
	})
	return nil
}

func readSettings(p url.Values) settingsForm {
	f := settingsForm{Typed: map[string]string{}, Was: map[string]string{}, Problem: map[string]string{}, Others: map[string]string{}}
	for _, s := range known {
		f.Typed[s.Name], f.Was[s.Name] = strings.TrimSpace(p.Get(s.Name)), p.Get("was."+s.Name)
	}
	f.Version, _ = strconv.ParseInt(p.Get("version"), 10, 64) // 0 is refused below
	return f
}

// changes are the settings that differ from how they are, as the inventory has
// them. What has no field stays.
func (f *settingsForm) changes(present map[string]string) map[string]any {
	out := map[string]any{}
	for name, text := range f.Typed {
		if text == present[name] {
			continue
		}
		switch {
		case name == inventory.SettingFourEyes:
			out[name] = text == "on"
		case text == "":
			out[name] = nil
		case name == inventory.SettingAct:
			out[name] = strings.Fields(text)
		case name == inventory.SettingCooldown, name == inventory.SettingAge, name == inventory.SettingLifetime:
			n, err := strconv.Atoi(text)
			if err != nil {
				f.Problem[name] = "Write a whole number."
			}
			out[name] = n
		default:
			out[name] = text
		}
	}
	return out
}

// noVersion is the answer to a form that has none: it was not the page's.
var noVersion = &failure{http.StatusUnprocessableEntity, "That cannot be", "The form says not what it changes: open the page again. Nothing was changed."}

// setSettings changes what has a field; what has none stays.
func (c *Console) setSettings(w http.ResponseWriter, a *ask) error {
	if err := a.ParseForm(); err != nil {
		return &failure{http.StatusBadRequest, "That cannot be", "The form could not be read. Nothing was changed."}
	}
	o, err := c.Queries.Organization(a.Context(), a.organization)
	if err != nil {
		return err
	}
	if o.ManagedBy != "" {
		return &failure{http.StatusConflict, "Managed elsewhere", "The settings of " + o.Name + " are managed by " + o.ManagedBy + ". Nothing was changed."}
	}
	f := readSettings(a.PostForm)
	if f.Version <= 0 {
		return noVersion
	}
	if f.Version != o.Version {
		return c.settingsAgain(w, a, o, f)
	}
	settings := f.changes(settingsOf(o))
	if len(f.Problem) > 0 {
		return c.showSettings(w, a, http.StatusUnprocessableEntity, o, f, nil)
	}
	_, err = c.Commands.Do(a.Context(), a.caller.actor(a.organization), inventory.IfVersion{
		Version: f.Version, Command: inventory.ChangeSettings{Organization: a.organization, Settings: settings},
	})
	var (
		invalid *inventory.Invalid
		stale   *inventory.Stale
	)
	switch {
	case errors.As(err, &invalid):
		if invalid.Field == "settings" { // of all together
			f.Problem["settings"] = "The settings " + invalid.Problem + "."
		} else {
			f.Problem[strings.TrimPrefix(invalid.Field, "settings.")] = "It " + invalid.Problem + "."
		}
		return c.showSettings(w, a, http.StatusUnprocessableEntity, o, f, nil)
	case errors.As(err, &stale): // it changed since it was read here
		if o, err = c.Queries.Organization(a.Context(), a.organization); err != nil {
			return err
		}
		return c.settingsAgain(w, a, o, f)
	case err != nil:
		return err
	}
	http.Redirect(w, a.Request, at(o.Name, "settings")+"?done=settings", http.StatusSeeOther)
	return nil
}

// settingsAgain shows who changed the settings meanwhile. Fields that were not
// touched become what they are now; what was typed stays, beside what others chose.
func (c *Console) settingsAgain(w http.ResponseWriter, a *ask, o *inventory.OrganizationRow, f settingsForm) error {
	present := settingsOf(o)
	typed := maps.Clone(f.Typed)
	for name := range typed {
		switch {
		case f.Typed[name] == f.Was[name]:
			typed[name] = present[name]
		case present[name] != f.Was[name] && present[name] != f.Typed[name]:
			f.Others[name] = settingWords(name, present[name])
		}
	}
	f.Typed, f.Was, f.Version = typed, present, o.Version
	return c.showSettings(w, a, http.StatusConflict, o, f, c.onOrganization(a, "The organization "+o.Name+" has changed"))
}

// settingWords is a setting's value for people.
func settingWords(name, value string) string {
	switch {
	case name == inventory.SettingFourEyes && value == "on":
		return "yes"
	case name == inventory.SettingFourEyes:
		return "no"
	case value == "" && name == inventory.SettingPublicRead:
		return "as the bundle has it"
	case value == "":
		return "not set"
	case name == inventory.SettingPublicRead && value == "anonymous":
		return "reads without it"
	case name == inventory.SettingPublicRead && value == "refuse":
		return "is refused"
	}
	return value
}
