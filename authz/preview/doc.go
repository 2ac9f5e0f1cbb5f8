// Package preview says whom a change of an organization's token policy would
// break, before it is made.
//
// Each token that reaches the organization is judged twice, by the function that
// judges requests: as the organization is, and as the change would leave it. It
// is tried on what it was used for of late, and on what it may do. Rego decides;
// nothing here knows what a policy asks for. Nothing is opened, counted, mailed
// or written.
//
//	r, err := previewer.Preview(ctx, preview.Change{Policy: set}, preview.Query{})
//	for _, t := range r.Tokens { … t.Owner, t.DisplayName, t.Reason … }
//
// What it cannot know is in the report's coverage: a rule that reads the request
// itself (its path, headers, the client's address) sees none.
package preview
