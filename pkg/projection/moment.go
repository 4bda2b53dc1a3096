package projection

import (
	"math"
	"time"
)

// moment is a time without a zone, in nanoseconds since 1970: half of what a
// time.Time takes.
type moment int64

const (
	never moment = math.MinInt64 // the zero time
	// farAway is a time that nanoseconds do not reach, more than 290 years from
	// 1970: it stands beside as it is.
	farAway moment = math.MinInt64 + 1
	// reach is how many seconds from 1970 nanoseconds reach for sure.
	reach = math.MaxInt64/1_000_000_000 - 1
)

func momentOf(t time.Time) moment {
	s := t.Unix()
	switch {
	case -reach < s && s < reach:
		return moment(s*1e9 + int64(t.Nanosecond()))
	case t.IsZero():
		return never
	}
	return farAway
}

// time is the moment; beside is the time of one that is far away.
func (m moment) time(beside time.Time) time.Time {
	switch m {
	case never:
		return time.Time{}
	case farAway:
		return beside
	}
	return time.Unix(0, int64(m)).UTC()
}

// aside is what has to stand beside the moment of a time.
func aside(m moment, t time.Time) time.Time {
	if m == farAway {
		return plainTime(t)
	}
	return time.Time{}
}
