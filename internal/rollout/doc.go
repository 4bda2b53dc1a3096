// Package rollout holds, by its tests, a whole fleet to what enforcement is for:
// while its nodes post to each other all the time, it turns strict, is relaxed and
// turns strict again, credentials are issued anew, and not one post of a desired
// node is refused; a stranger's is.
package rollout
