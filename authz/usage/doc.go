// Package usage gathers what tokens are used for: when each was last used, and
// counts by day, token, organization, resource, permission, network and
// outcome; and unknown tokens where an organization only observes. All of it is
// gathered in memory, within bounds that no flood of distinct values moves, and
// written every few seconds in one transaction. A kill loses at most what was
// gathered since; a store that does not answer loses nothing until the bounds
// are met. Recording never waits for the store.
package usage
