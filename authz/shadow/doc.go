// Package shadow compares what a bundle would answer with what the active one
// answered: on a sample of the requests, after they were answered, within bounds of
// memory and of the processor's time. What it cannot keep up with it leaves out, and
// counts. It changes no answer, delays none, and writes nothing.
package shadow
