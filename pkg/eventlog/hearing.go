package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// deafAfter is how long a stream may hear nothing from its source. The server
	// has the source say every second that it is there.
	deafAfter = 3 * time.Second
	// electAfter is how long a stream stays deaf although its source is there,
	// before another leader is asked for, and how long that one is given.
	electAfter = 2 * time.Second
	electAgain = 6 * time.Second
	// hearingSoon is how long a stream that was just made is given.
	hearingSoon = time.Second
	// deafTold is the try, from 0, at which deafness is told: about a second after
	// the first.
	deafTold = 3
)

// errDeaf says that a stream hears nothing from its source. What it then says of
// a lease counts for nothing: the node may well have renewed it.
var errDeaf = errors.New("stream hears nothing from its source")

// hearing watches whether a stream hears its source. When a server of a cluster
// is lost that led both, the stream's next leader may ask for the source before
// that has one, and waits half a minute for an answer that nobody gives. All
// leases would end meanwhile. Another leader asks again at once.
type hearing struct {
	bus            *Bus
	stream, source string

	since time.Time // the source was first there and not heard; zero: it is heard
	voted time.Time // another leader was last asked for
}

// check returns an errDeaf, and sees to it that the stream hears again.
func (h *hearing) check(ctx context.Context, s jetstream.Stream) error {
	if hears(s.CachedInfo()) {
		h.since = time.Time{}
		return nil
	}
	if h.bus.clustered() {
		h.mend(ctx)
	}
	return fmt.Errorf("%w %s", errDeaf, h.source)
}

func hears(info *jetstream.StreamInfo) bool {
	for _, s := range info.Sources {
		if s.Active < 0 || s.Active > deafAfter { // below zero: never
			return false
		}
	}
	return len(info.Sources) > 0
}

// mend asks for another leader of the stream, once the source has been there
// for a while: without a source another leader would hear no more than this one.
func (h *hearing) mend(ctx context.Context) {
	if _, err := h.bus.js.Stream(ctx, h.source); err != nil {
		h.since = time.Time{}
		return
	}
	now := time.Now()
	switch {
	case h.since.IsZero():
		h.since = now
		return
	case now.Sub(h.since) < electAfter || now.Sub(h.voted) < electAgain:
		return
	}
	h.voted = now
	_, err := h.bus.nc.RequestWithContext(ctx, h.bus.apiPrefix()+"STREAM.LEADER.STEPDOWN."+h.stream, nil)
	h.bus.tell("stream hears nothing from its source, asked for another leader of "+h.stream, err)
}
