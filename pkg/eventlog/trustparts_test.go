package eventlog

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// publishParts publishes the first n parts.
func publishParts(t *testing.T, b *Bus, n int, version uint64) {
	t.Helper()
	for n := range n {
		part := TrustText{Kind: TrustRegions, KeyID: fmt.Sprintf("%02x", n), Version: version, Text: fmt.Append(nil, version)}
		if ok, err := b.PublishTrust(patience(t), part); err != nil || !ok {
			t.Fatalf("publish part %d: %v, %v", n, ok, err)
		}
	}
}

// farAway is a server whose answers take time.
type farAway struct {
	*natsd.Server
	delay time.Duration
}

func (f farAway) InProcessConn() (net.Conn, error) {
	c, err := f.Server.InProcessConn()
	if err != nil {
		return nil, err
	}
	far := &farConn{Conn: c, come: make(chan arrival, 1<<12)}
	go far.listen(f.delay)
	return far, nil
}

type arrival struct {
	text []byte
	err  error
	at   time.Time
}

type farConn struct {
	net.Conn
	come chan arrival // with room for all that is under way
	now  []byte
}

func (c *farConn) listen(delay time.Duration) {
	for {
		text := make([]byte, 1<<16)
		n, err := c.Conn.Read(text)
		c.come <- arrival{text[:n], err, time.Now().Add(delay)}
		if err != nil {
			return
		}
	}
}

func (c *farConn) Read(p []byte) (int, error) {
	if len(c.now) == 0 {
		came := <-c.come
		time.Sleep(time.Until(came.at)) // fake time
		if came.err != nil {
			return 0, came.err
		}
		c.now = came.text
	}
	n := copy(p, c.now)
	c.now = c.now[n:]
	return n, nil
}

// A receiver that begins far away knows the posture after one round trip, and all
// parts of the regions long before there was one for each.
func TestWhoBeginsFarAwayIsSoonReady(t *testing.T) {
	onWire(t, func(t *testing.T, b *Bus, w *wire) {
		publishParts(t, b, trustParts, 1)
		for _, p := range []TrustText{text(TrustBundle, 1, "bundle"), text(TrustPosture, 1, "posture"), {Kind: TrustCRL, KeyID: "aa", Version: 1}} {
			if ok, err := b.PublishTrust(t.Context(), p); err != nil || !ok {
				t.Fatal(ok, err)
			}
		}
		const delay = 50 * time.Millisecond
		far, err := Connect(t.Context(), Options{InProcess: farAway{w.server, delay}, Name: "far"})
		if err != nil {
			t.Fatal(err)
		}
		defer time.Sleep(delay) // until what is under way has come
		defer far.Close()
		began, feed := time.Now(), follow(t, far)
		first := next(t, feed)
		if took := time.Since(began); took != delay || len(first) != 1 || first[0].Kind != TrustPosture {
			t.Errorf("after %s there is %+v", took, first)
		}
		rest := next(t, feed)
		if took := time.Since(began); took > 2*trustParts*delay/trustWindow || len(rest) != trustParts+2 {
			t.Errorf("after %s there are %d texts", took, len(rest))
		}
	})
}

// What was read side by side is read once, and nothing else is passed over: not
// rubbish, and not what stood between or came meanwhile.
func TestPartsThatWereReadAheadHideNothing(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	publishParts(t, b, 3, 1)
	for _, m := range []*nats.Msg{{Subject: b.subjects.TrustRegions("03")}, {Subject: b.subjects.TrustRegions("zz")}} {
		if err := b.nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if ok, err := b.PublishTrust(patience(t), text(TrustBundle, 1, "bundle")); err != nil || !ok {
		t.Fatal(ok, err)
	}
	publishParts(t, b, 2, 2)
	feed := follow(t, b)
	versions := make(map[string]uint64)
	for _, got := range next(t, feed) {
		versions[string(got.Kind)+got.KeyID] = got.Version
	}
	if want := map[string]uint64{"regions00": 2, "regions01": 2, "regions02": 1, "bundle": 1}; fmt.Sprint(versions) != fmt.Sprint(want) {
		t.Errorf("read %v, want %v", versions, want)
	}
	f := feed.(*trustFeed)
	if s, err := b.js.Stream(patience(t), b.trustStream()); err != nil || f.seen != s.CachedInfo().State.LastSeq {
		t.Errorf("read up to %d: %v", f.seen, err)
	}
}
