// Package telemetry counts what was decided, writes a line for what was
// refused, and answers health checks. No label and no log line holds a secret,
// a user, a path's query or anything else that grows with traffic.
package telemetry
