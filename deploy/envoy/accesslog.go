package envoy

import (
	"context"
	"encoding/json"
	"fmt"
)

// AccessLine is a line of the access log, as the two configurations write it.
type AccessLine struct {
	RequestID   string         `json:"request_id"`
	Method      string         `json:"method"`
	Path        string         `json:"path"`
	Protocol    string         `json:"protocol"`
	Status      int            `json:"status"`
	GRPCStatus  int            `json:"grpc_status"`
	Details     string         `json:"details"`
	Flags       string         `json:"flags"`
	AuthzReason string         `json:"authz_reason"`
	Authz       map[string]any `json:"authz"`
	Upstream    string         `json:"upstream"`
}

// AccessLog returns the lines so far.
func (p *Process) AccessLog() []json.RawMessage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]json.RawMessage(nil), p.lines...)
}

// WaitAccess returns the first line, past or to come, that match accepts.
func (p *Process) WaitAccess(ctx context.Context, match func(AccessLine) bool) (AccessLine, error) {
	for next := 0; ; {
		p.mu.Lock()
		lines, more := p.lines[next:], p.more
		p.mu.Unlock()
		for _, raw := range lines {
			next++
			var line AccessLine
			if err := json.Unmarshal(raw, &line); err != nil {
				return AccessLine{}, fmt.Errorf("access log line %s: %w", raw, err)
			}
			if match(line) {
				return line, nil
			}
		}
		select {
		case <-more:
		case <-p.done:
			return AccessLine{}, fmt.Errorf("envoy ended before the line came: %w", p.err)
		case <-ctx.Done():
			return AccessLine{}, fmt.Errorf("no such line among %d of the access log: %w", next, ctx.Err())
		}
	}
}

// WaitRequest returns the access log's line of a request.
func (p *Process) WaitRequest(ctx context.Context, requestID string) (AccessLine, error) {
	return p.WaitAccess(ctx, func(l AccessLine) bool { return l.RequestID == requestID })
}
