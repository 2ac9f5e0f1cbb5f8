package console

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/usage"
)

// Reports tells how tokens are used and what was found of them.
type Reports interface {
	TokenUsage(ctx context.Context, organization, id string, days int) (*usage.Report, error)
	Timeline(ctx context.Context, organization, id string, days int) ([]usage.Event, error)
	TokenFindings(ctx context.Context, organization, id string) ([]hygiene.Row, error)
	OrganizationUsage(ctx context.Context, organization string, days int) (*usage.Overview, error)
	CountFindingsOf(ctx context.Context, organization string) ([]hygiene.Count, error)
	// Replicas are the patrols that serve from the same inventory.
	Replicas(context.Context) ([]inventory.ReplicaRow, error)
}

// reportDays is how far back the pages look.
const reportDays = 30

// chart is a picture of requests a day: a bar a day, what was refused on top.
type chart struct {
	Width, Height    int
	Bars             []bar
	First, Last      string
	Allowed, Refused int64
}

// bar is a day of a chart, in the picture's units from the top.
type bar struct {
	Day                                string
	Allowed, Refused                   int64
	X, AllowedY, AllowedH, RefusedY, H int
}

const (
	barWidth    = 10
	chartHeight = 80
)

// draw makes a chart of days. Something is never drawn as nothing.
func draw(days []usage.DayUse) *chart {
	c := &chart{Width: barWidth * len(days), Height: chartHeight}
	most := int64(1)
	for _, d := range days {
		most = max(most, d.Allowed+d.Refused)
		c.Allowed, c.Refused = c.Allowed+d.Allowed, c.Refused+d.Refused
	}
	for i, d := range days {
		b := bar{Day: d.Day, Allowed: d.Allowed, Refused: d.Refused, X: i * barWidth}
		b.AllowedH, b.H = height(d.Allowed, most), height(d.Refused, most)
		b.AllowedY = chartHeight - b.AllowedH
		b.RefusedY = max(0, b.AllowedY-b.H)
		c.Bars = append(c.Bars, b)
	}
	if len(days) > 0 {
		c.First, c.Last = days[0].Day, days[len(days)-1].Day
	}
	return c
}

func height(n, most int64) int {
	if n == 0 {
		return 0
	}
	return max(2, int(n*(chartHeight-4)/most))
}

// overall is a chart of an organization.
func overall(o *usage.Overview) *chart {
	days := make([]usage.DayUse, len(o.Days))
	for i := range o.Days {
		days[i] = o.Days[i].DayUse
	}
	return draw(days)
}

// reasonUse is how often requests came out with a reason, in words; Line is a
// line of its days, where they are known.
type reasonUse struct {
	usage.ReasonUse
	Title string
	Line  *chart
}

func (c *Console) reasons(list []usage.ReasonUse) []reasonUse {
	out := make([]reasonUse, len(list))
	for i, r := range list {
		out[i] = reasonUse{ReasonUse: r, Title: reasonTitle(c.catalogue(), r.Reason)}
	}
	return out
}

// catalogue is that of the active bundle.
func (c *Console) catalogue() authz.Catalogue {
	if rules := c.Policy.Ruleset(); rules != nil {
		return rules.Catalogue
	}
	return nil
}

// reasonTitle is a reason in the words of the catalogue.
func reasonTitle(all authz.Catalogue, reason string) string {
	if said := all.Get(reason); said != nil && said.Title != "" {
		return said.Title
	}
	return strings.ReplaceAll(reason, "_", " ")
}

// refusals are the reasons of what was refused, the most frequent first, by day.
func (c *Console) refusals(o *usage.Overview) []reasonUse {
	out := slices.DeleteFunc(c.reasons(o.Reasons), func(r reasonUse) bool { return r.Allowed })
	for i := range out {
		days := make([]usage.DayUse, len(o.Days))
		for d := range o.Days {
			days[d] = usage.DayUse{Day: o.Days[d].Day, Refused: o.Days[d].Reasons[out[i].Reason]}
		}
		out[i].Line = draw(days)
	}
	return out
}

// found is a finding as the token's page shows it.
type found struct {
	hygiene.Row
	// Narrower are the grants that would do, where the finding proposes some.
	Narrower []authz.Grant
}

// narrower reads the narrower grants out of a finding's details. What is there
// in another form, an operator's own rule may have made it, is left out.
func narrower(row *hygiene.Row) []authz.Grant {
	text, err := json.Marshal(row.Details["narrower"])
	var grants []authz.Grant
	if err != nil || json.Unmarshal(text, &grants) != nil {
		return nil
	}
	return grants
}

// event is an entry of a timeline in words: what happened, what was said with it,
// and more about it.
type event struct {
	usage.Event
	What, Words string
	Said        []detail
}

// told puts a timeline into words; titles are those of findings. Usage is left
// out: the chart has it.
func told(events []usage.Event, titles map[string]string) (out []event) {
	for _, e := range events {
		if e.Kind == usage.EventUsage {
			continue
		}
		one := event{Event: e, What: strings.ReplaceAll(e.What, "_", " "), Words: e.Text}
		switch e.Kind {
		case usage.EventAudit:
			one.What, one.Words, one.Said = actionWords(e.What, e.Details), "", saidOf(e.Details, e.Text)
		case usage.EventRequest:
			if by, ok := strings.CutPrefix(e.Text, "by "); ok && e.What == "opened" {
				one.What, one.Words = "asked for", openedWords[by]
			}
		case usage.EventFinding:
			one.What = titles[e.What]
			if one.What == "" {
				one.What = strings.ReplaceAll(e.What, "_", " ")
			}
		}
		out = append(out, one)
	}
	return out
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
