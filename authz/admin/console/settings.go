package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// settingsForm are an organization's settings as they were typed.
type settingsForm struct {
	FourEyes                      bool
	Cooldown, MaxAge, MaxLifetime string
	PublicRead, Act               string
	Version                       int64
	Problem                       map[string]string
}

// settings shows the settings that patrol knows, and what else is set.
func (c *Console) settings(w http.ResponseWriter, a *ask) error {
	o, err := c.Queries.Organization(a.Context(), a.organization)
	if err != nil {
		return err
	}
	f := settingsForm{
		Cooldown: written(o.Settings[inventory.SettingCooldown]), MaxAge: written(o.Settings["max_token_age_days"]),
		MaxLifetime: written(o.Settings["max_token_lifetime_days"]), PublicRead: written(o.Settings["public_read"]), Version: o.Version,
	}
	f.FourEyes, _ = o.Settings[inventory.SettingFourEyes].(bool)
	if rules, ok := o.Settings[inventory.SettingAct].([]any); ok {
		var names []string
		for _, r := range rules {
			names = append(names, written(r))
		}
		f.Act = strings.Join(names, " ")
	}
	return c.showSettings(w, a, http.StatusOK, o, f)
}

// written is a setting as a field has it.
func written(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}

// known are the settings that have a field.
var known = []string{inventory.SettingFourEyes, inventory.SettingCooldown, inventory.SettingAct, "max_token_age_days", "max_token_lifetime_days", "public_read"}

func (c *Console) showSettings(w http.ResponseWriter, a *ask, status int, o *inventory.OrganizationRow, f settingsForm) error {
	others := map[string]string{}
	for key, v := range o.Settings {
		if !slices.Contains(known, key) {
			text, err := json.Marshal(v)
			if err != nil {
				return err
			}
			others[key] = string(text)
		}
	}
	c.show(w, a.Request, a, status, "settings", "Settings of "+o.Name, map[string]any{"Organization": o, "Form": f, "Others": others})
	return nil
}

// setSettings changes what has a field; what has none stays.
func (c *Console) setSettings(w http.ResponseWriter, a *ask) error {
	if err := a.ParseForm(); err != nil {
		return &failure{http.StatusBadRequest, "That cannot be", "The form could not be read. Nothing was changed."}
	}
	o, err := c.Queries.Organization(a.Context(), a.organization)
	if err != nil {
		return err
	}
	p := a.PostForm
	f := settingsForm{
		FourEyes: p.Get("four_eyes") == "on", Cooldown: strings.TrimSpace(p.Get(inventory.SettingCooldown)), MaxAge: strings.TrimSpace(p.Get("max_token_age_days")),
		MaxLifetime: strings.TrimSpace(p.Get("max_token_lifetime_days")), PublicRead: p.Get("public_read"), Act: strings.TrimSpace(p.Get(inventory.SettingAct)),
		Problem: map[string]string{},
	}
	f.Version, _ = strconv.ParseInt(p.Get("version"), 10, 64) // 0 is refused below
	if f.Version <= 0 {
		return &failure{http.StatusUnprocessableEntity, "That cannot be", "The form says not what it changes: open the page again. Nothing was changed."}
	}
	settings := map[string]any{inventory.SettingFourEyes: f.FourEyes, "public_read": nil, inventory.SettingAct: nil}
	if f.PublicRead != "" {
		settings["public_read"] = f.PublicRead
	}
	if names := strings.Fields(f.Act); len(names) > 0 {
		settings[inventory.SettingAct] = names
	}
	for key, text := range map[string]string{inventory.SettingCooldown: f.Cooldown, "max_token_age_days": f.MaxAge, "max_token_lifetime_days": f.MaxLifetime} {
		if text == "" {
			settings[key] = nil
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			f.Problem[key] = "Write a whole number."
		}
		settings[key] = n
	}
	if len(f.Problem) > 0 {
		return c.showSettings(w, a, http.StatusUnprocessableEntity, o, f)
	}
	_, err = c.Commands.Do(a.Context(), a.caller.actor(a.organization), inventory.IfVersion{
		Version: f.Version, Command: inventory.ChangeSettings{Organization: a.organization, Settings: settings},
	})
	var invalid *inventory.Invalid
	if errors.As(err, &invalid) {
		f.Problem[strings.TrimPrefix(invalid.Field, "settings.")] = "It " + invalid.Problem + "."
		return c.showSettings(w, a, http.StatusUnprocessableEntity, o, f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, a.Request, at(o.Name, "settings")+"?done=settings", http.StatusSeeOther)
	return nil
}
