// Package poison attacks a running fleet with messages that no honest writer
// sends, on every subject there is. It has tests only.
//
// The services are the commands themselves, on a server of their own that takes
// bodies of 16 MB. After each attack the fleet is sent on an errand that needs
// every one of them: another inventory, a plan, an action, its outcome. So a
// service that has ended, stalled or lost its place is found by the next
// errand, and each attack must show up in a metric, by its reason.
package poison
