// Package preview judges tokens by what they may do, by the function that judges
// requests: how they stand in an organization at present, and whom a change of its
// token policy would break, before it is made. Rego decides; nothing here knows what
// a policy asks for. Nothing is opened, counted, mailed or written.
//
//	all, err := previewer.Stand(ctx, "acme", []string{id}, preview.ManyTries)
//	if s := all[id]; !s.Allowed { … s.Reason, s.Message … }
//
// For a change each token that reaches the organization is judged twice: as the
// organization is, and as the change would leave it. It is tried on what it was used
// for of late, and on what it may do.
//
//	r, err := previewer.Preview(ctx, preview.Change{Policy: set}, preview.Query{})
//	for _, t := range r.Tokens { … t.Owner, t.DisplayName, t.Reason … }
//
// What it cannot know is in the report's coverage: a rule that reads the request
// itself (its path, headers, the client's address) sees none.
package preview
