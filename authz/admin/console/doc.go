// Package console is patrol for people: pages for administrators and operators,
// and for owners whose token was refused.
//
// Pages are rendered here, from templates that are parsed at the start; they
// work without a script, which only adds keys and parts that change by
// themselves. Handlers read by [Queries] and change by the same [Commands] as
// the API, and every page and action is judged first, by [Judge]. Nothing
// changes on GET; a change is answered by a redirect, so that reloading repeats
// nothing.
package console
