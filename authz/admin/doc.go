// Package admin is the administrative API: JSON over HTTP, described by an
// OpenAPI 3.1 document that is made from the code. It is served over a Unix
// socket, whose peer is known by the kernel's word.
package admin
