package identity

import "time"

// RenewFrom is when a credential is due for renewal: renewBefore before its end.
// 0 or less means a third of its time.
//
// A credential counts until SkewMargin before its end only. Where renewBefore
// leaves no second margin before that, the credential is due two margins before
// its end, or when half of the time that it counts is over if that is later.
func RenewFrom(notBefore, notAfter time.Time, renewBefore time.Duration) time.Time {
	if renewBefore <= 0 {
		renewBefore = notAfter.Sub(notBefore) / 3
	}
	from := notAfter.Add(-renewBefore)
	if renewBefore >= 2*SkewMargin {
		return from
	}
	issued, end := notBefore.Add(SkewMargin), notAfter.Add(-SkewMargin)
	early := notAfter.Add(-2 * SkewMargin)
	if half := issued.Add(end.Sub(issued) / 2); early.Before(half) {
		early = half
	}
	if early.Before(from) {
		return early
	}
	return from
}
