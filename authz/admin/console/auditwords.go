package console

import (
	"maps"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// entry is an entry of the audit log in words.
type entry struct {
	inventory.AuditRow
	What string
	Said []detail
}

// detail is one thing that an entry tells.
type detail struct{ Label, Value string }

// entries puts the audit log into words.
func (c *Console) entries(rows []inventory.AuditRow) []entry {
	titles := c.titles()
	out := make([]entry, len(rows))
	for i := range rows {
		out[i] = entry{rows[i], actionWords(rows[i].Action, rows[i].Details), detailsOf(rows[i].Details, titles)}
	}
	return out
}

// detailLabels say what a detail is, where its key does not.
var detailLabels = map[string]string{
	"people": "approved by", "user": "member", "from": "before", "to": "now", "enforce_at": "from", "next": "dated change", "enforcement": "mode",
	"existing_tokens": "present tokens", "email_confirmed_by": "address confirmed by", "email": "address", "responsible": "answers for it",
	"requests": "requests opened", "display_name": "name", "assigned": "to", "added": "added", "removed": "taken away", "escalated": "why",
}

// untold are details that the words for the action tell already.
var untold = []string{"vote"}

// detailsOf are the details of an entry. titles are those of the token policies.
func detailsOf(details map[string]any, titles map[string]string) (out []detail) {
	for _, key := range slices.Sorted(maps.Keys(details)) {
		if settings, ok := details[key].(map[string]any); ok && key == "settings" {
			out = append(out, settingDetails(settings)...)
			continue
		}
		value := valueWords(details[key])
		if title := titles[value]; title != "" {
			value = title
		}
		if value == "" || slices.Contains(untold, key) {
			continue
		}
		label := detailLabels[key]
		if label == "" {
			label = strings.ReplaceAll(key, "_", " ")
		}
		out = append(out, detail{label, value})
	}
	return out
}

// settingDetails are settings that were changed, in the words of their page.
func settingDetails(settings map[string]any) (out []detail) {
	fields := settingsOf(&inventory.OrganizationRow{Settings: settings})
	for _, s := range known {
		if _, ok := settings[s.Name]; ok {
			out = append(out, detail{s.Words, settingWords(s.Name, fields[s.Name])})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if !slices.ContainsFunc(known, func(s setting) bool { return s.Name == key }) {
			value := "taken back"
			if v := settings[key]; v != nil {
				value = written(v)
			}
			out = append(out, detail{key, value})
		}
	}
	return out
}

// saidIn are the details that are somebody's words, or a name or time: those are
// told of a token. Counts and ids are in the audit log.
var saidIn = []string{"purpose", "question", "comment", "reason", "answer", "escalated", "assigned", "people", "until"}

// saidOf are the details of a change of a token that are told, and what was said
// with it where they do not tell that.
func saidOf(details map[string]any, text string) []detail {
	some, told := map[string]any{}, text == ""
	for _, key := range saidIn {
		if v, ok := details[key]; ok {
			some[key] = v
			told = told || v == text
		}
	}
	if !told {
		some["comment"] = text
	}
	return detailsOf(some, nil)
}
