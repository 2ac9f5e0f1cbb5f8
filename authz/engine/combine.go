package engine

import "github.com/patrol-authz/patrol/authz"

// together puts the decision of the entry at a place in the list to those
// before it: the first refusal is the answer, allows are joined.
func together(at int, before, d authz.Decision) authz.Decision {
	if at == 0 || !d.Allowed {
		return merge(before, d)
	}
	return join(before, d)
}

// merge returns the decision that ends a list: a refusal as it is, except that
// an approval request which an earlier entry asked for is not forgotten.
func merge(before, d authz.Decision) authz.Decision {
	d.RequestApproval = d.RequestApproval || before.RequestApproval
	return d
}

// join returns two allows as one. The later one tells the reason, unless it
// has none to tell.
func join(a, b authz.Decision) authz.Decision {
	if b.Reason == reasonAllowed && a.Reason != "" {
		b.Reason, b.Params = a.Reason, a.Params
	}
	b.Reasons = append(a.Reasons, b.Reasons...)
	b.Next = append(a.Next, b.Next...)
	b.RequestApproval = a.RequestApproval || b.RequestApproval
	b.Anonymous = a.Anonymous || b.Anonymous
	if b.Exception == "" {
		b.Exception = a.Exception
	}
	b.Envoy = joinEnvoy(a.Envoy, b.Envoy)
	return b
}

func joinEnvoy(a, b *authz.EnvoyDecision) *authz.EnvoyDecision {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	joined := *b
	joined.Headers = append(a.Headers, b.Headers...)
	joined.ResponseHeaders = append(a.ResponseHeaders, b.ResponseHeaders...)
	joined.RequestHeadersRemove = append(a.RequestHeadersRemove, b.RequestHeadersRemove...)
	joined.QuerySet = append(a.QuerySet, b.QuerySet...)
	joined.QueryRemove = append(a.QueryRemove, b.QueryRemove...)
	joined.Metadata = map[string]any{}
	for _, m := range []map[string]any{a.Metadata, b.Metadata} {
		for k, v := range m {
			joined.Metadata[k] = v
		}
	}
	return &joined
}
