// Package routing compiles the route table, which is data in the bundle, and
// says what a request is about: which organizations, which resource and which
// permission. What no route matches stays closed.
//
// A path is judged as sent, never normalised: a form that two readers could
// understand differently (an encoded slash, a dot segment, an empty one) is
// refused before it is routed, unless the route that it reaches allows it.
package routing
