//go:build !linux

package main

// releaseCode does something on Linux alone.
func releaseCode() {}
