// Package record keeps the refusals of the last day with their facts, so that
// "why was this request refused?" has an answer by the request's id. Records
// are lines of JSON in files whose number and size are bounded; they survive a
// restart. No credential, no body and no value of a query string is in them.
//
// A record is made while the request is there and written in the background:
// recording never waits for the disk. What the bounds leave out is counted.
package record
