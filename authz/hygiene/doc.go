// Package hygiene finds what is risky or untidy about tokens: it shows what
// holds between a token and an organization, and how the token was used, to the
// rules of data.patrol.findings, and keeps what they find. Rego decides; here the
// documents are made, words are filled in, and findings are kept fresh: on
// change, and hourly by one of the replicas.
package hygiene
