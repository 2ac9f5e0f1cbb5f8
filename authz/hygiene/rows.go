package hygiene

import "time"

// Row is a finding as administrators see it.
type Row struct {
	Finding
	Token       string    `json:"token,omitempty"` // its id; empty: about the organization
	DisplayName string    `json:"display_name,omitempty"`
	Last4       string    `json:"last4,omitempty"`
	Owner       string    `json:"owner,omitempty"`
	FirstAt     time.Time `json:"first_at"` // when it was first found
}

// Filter narrows a listing of findings: to a name, and to a severity or graver.
type Filter struct{ Finding, Severity string }

// Count is how many tokens have a finding.
type Count struct {
	Finding, Severity string
	Title             string // where it is of one organization
	Tokens            int64
	// Organization says that it was found of the organization itself.
	Organization bool
}
