package obs

import (
	"errors"
	"fmt"
	"time"
)

// staleAfter is how long a log may be silent before a service that follows it
// is no longer ready. A follower asks a silent log for its end about every 5 s.
const staleAfter = 20 * time.Second

// Follower is a live fold of the log, as view.View is.
type Follower interface {
	Err() error
	CaughtUp() bool
	Confirmed() time.Time
}

// Connection is a connection to the server, as eventlog.Bus is.
type Connection interface{ Connected() bool }

// Follows is the check that a service is connected and has folded the log up to
// its end lately.
func Follows(c Connection, f Follower) func() error {
	return func() error {
		switch {
		case !c.Connected():
			return errors.New("not connected to the server")
		case f.Err() != nil:
			return f.Err()
		case !f.CaughtUp():
			return errors.New("not caught up with the log")
		}
		if silent := time.Since(f.Confirmed()); silent > staleAfter {
			return fmt.Errorf("the log has not answered for %s", silent.Round(time.Second))
		}
		return nil
	}
}

// All holds when all the checks do; the first that does not says why.
func All(checks ...func() error) func() error {
	return func() error {
		for _, check := range checks {
			if err := check(); err != nil {
				return err
			}
		}
		return nil
	}
}
