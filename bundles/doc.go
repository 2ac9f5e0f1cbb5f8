// Package bundles loads policy bundles and activates them through one gate: a
// candidate is compiled, type-checked against the input's schema, its reasons,
// routes and policies are checked, and it is probed with samples before it
// replaces what is active, by one atomic pointer. What does not pass changes
// nothing, and is reported.
//
// Sources are the embedded base bundle (root patrol) and operators' overlays
// (root local): folders, tarballs, and HTTP bundle services. The last set that
// passed is kept on disk, so that a restart onto a bad bundle serves it.
package bundles
