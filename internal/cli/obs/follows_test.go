package obs

import (
	"errors"
	"strings"
	"testing"
	"time"
)

type follower struct {
	connected, caughtUp bool
	err                 error
	silent              time.Duration
}

func (f follower) Connected() bool      { return f.connected }
func (f follower) CaughtUp() bool       { return f.caughtUp }
func (f follower) Err() error           { return f.err }
func (f follower) Confirmed() time.Time { return time.Now().Add(-f.silent) }

func TestFollowsSaysWhatAServiceWaitsFor(t *testing.T) {
	for _, c := range []struct {
		does string
		is   follower
		want string
	}{
		{"connected, caught up and lately confirmed is ready", follower{connected: true, caughtUp: true}, ""},
		{"without a connection", follower{caughtUp: true}, "not connected"},
		{"with a gap in the log", follower{connected: true, caughtUp: true, err: errors.New("log has a gap")}, "log has a gap"},
		{"behind the log", follower{connected: true}, "not caught up"},
		{"stalled", follower{connected: true, caughtUp: true, silent: time.Minute}, "has not answered for 1m0s"},
	} {
		t.Run(c.does, func(t *testing.T) {
			err := Follows(c.is, c.is)()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
