package eventlog

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
)

func text(kind TrustKind, version uint64, text string) TrustText {
	return TrustText{Kind: kind, Version: version, Text: []byte(text)}
}

func TestAnOlderTextNeverTakesThePlaceOfANewer(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	for _, c := range []struct {
		version uint64
		text    string
		want    bool
	}{{0, "none", true}, {0, "again", false}, {7, "seven", true}, {5, "five", false}, {7, "other", false}, {8, "eight", true}} {
		got, err := b.PublishTrust(patience(t), text(TrustPosture, c.version, c.text))
		if err != nil || got != c.want {
			t.Errorf("version %d %q: published %v, %v", c.version, c.text, got, err)
		}
	}
	feed := follow(t, b)
	if got := next(t, feed); len(got) != 1 || string(got[0].Text) != "eight" || got[0].Version != 8 {
		t.Errorf("read %+v", got)
	}
}

// Many publish versions in any order at once: the newest is there in the end,
// and whoever follows never sees a version fall.
func TestManyPublishersAtOnce(t *testing.T) {
	server := testServer(t, t.TempDir(), 0)
	b := testBus(t, server, Options{})
	feed := follow(t, b)
	var all sync.WaitGroup
	for p := range 3 {
		bus := testBus(t, server, Options{})
		all.Go(func() {
			for i := range uint64(20) {
				v := (i*7+uint64(p)*5)%20 + 1
				if _, err := bus.PublishTrust(patience(t), text(TrustBundle, v, fmt.Sprint(v))); err != nil && !errors.Is(err, ErrConflict) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if _, err := b.PublishTrust(patience(t), text(TrustBundle, 21, "21")); err != nil {
		t.Fatal(err)
	}
	for last := uint64(0); last < 21; {
		for _, got := range next(t, feed) {
			if got.Version <= last || string(got.Text) != fmt.Sprint(got.Version) {
				t.Fatalf("after version %d came %d with %q", last, got.Version, got.Text)
			}
			last = got.Version
		}
	}
}

func TestWhoFollowsHearsOfEachKindAndIssuer(t *testing.T) {
	server := testServer(t, t.TempDir(), 0)
	b := testBus(t, server, Options{})
	feed := follow(t, testBus(t, server, Options{}))
	want := map[string]string{"bundle": "b", "crl.00ff": "c", "crl.aa": "d", "posture": "p"}
	for _, p := range []TrustText{
		text(TrustBundle, 3, "b"), {Kind: TrustCRL, KeyID: "00ff", Version: 1, Text: []byte("c")},
		{Kind: TrustCRL, KeyID: "aa", Version: 1, Text: []byte("d")}, text(TrustPosture, 2, "p"),
	} {
		if ok, err := b.PublishTrust(patience(t), p); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	for len(want) > 0 {
		for _, got := range next(t, feed) {
			key := string(got.Kind)
			if got.KeyID != "" {
				key += "." + got.KeyID
			}
			if want[key] != string(got.Text) {
				t.Fatalf("%s is %q, want %q", key, got.Text, want[key])
			}
			delete(want, key)
		}
	}
	for _, bad := range []TrustText{{Kind: "x"}, {Kind: TrustCRL}, {Kind: TrustCRL, KeyID: "A.B"}, {Kind: TrustBundle, KeyID: "aa"}} {
		if _, err := b.PublishTrust(patience(t), bad); err == nil {
			t.Errorf("%+v was published", bad)
		}
	}
}

// What is no text of the stream is passed over, and told.
func TestRubbishOnTheTrustSubjectsIsPassedOver(t *testing.T) {
	var told []string
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{Logger: func(event string, _ error) { told = append(told, event) }})
	feed := follow(t, b)
	for _, m := range []*nats.Msg{
		{Subject: b.subjects.TrustBundle(), Data: []byte("x")},
		{Subject: b.subjects.Prefix() + ".trust.else", Header: nats.Header{headerVersion: {"1"}, headerSubject: {b.subjects.Prefix() + ".trust.else"}}},
		{Subject: b.subjects.TrustCRL("UPPER"), Header: nats.Header{headerVersion: {"1"}, headerSubject: {b.subjects.TrustCRL("UPPER")}}},
		{Subject: b.subjects.TrustBundle(), Header: nats.Header{headerVersion: {"9"}}},
		{Subject: b.subjects.TrustBundle(), Header: nats.Header{headerVersion: {"9"}, headerSubject: {b.subjects.TrustPosture()}}},
	} {
		if err := b.nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	// The stream took the first one, too.
	s, err := b.js.Stream(patience(t), b.trustStream())
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := b.PublishTrust(patience(t), text(TrustBundle, 1, "good")); err != nil || !ok {
		t.Errorf("rubbish did not give way: %v, %v", ok, err)
	}
	if s.Purge(patience(t)) == nil {
		t.Error("the stream was purged")
	}
	if got := next(t, feed); len(got) != 1 || string(got[0].Text) != "good" {
		t.Errorf("read %+v", got)
	}
	if len(told) == 0 {
		t.Error("nobody was told")
	}
}

func TestAStreamThatComesLaterIsFound(t *testing.T) {
	server := testServer(t, t.TempDir(), 0)
	b, err := Connect(t.Context(), Options{InProcess: server})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	feed := follow(t, b)
	got := make(chan []TrustText, 1)
	go func() {
		texts, _ := feed.Next(patience(t))
		got <- texts
	}()
	other := testBus(t, server, Options{})
	if _, err := other.PublishTrust(patience(t), text(TrustPosture, 1, "p")); err != nil {
		t.Fatal(err)
	}
	if texts := <-got; len(texts) != 1 || texts[0].Version != 1 {
		t.Errorf("read %+v", texts)
	}
	feed.Close()
	if _, err := feed.Next(patience(t)); err == nil {
		t.Error("a closed feed went on")
	}
}

func follow(t *testing.T, b *Bus) Trusts {
	t.Helper()
	feed, err := b.Trust(patience(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(feed.Close)
	return feed
}

func next(t *testing.T, feed Trusts) []TrustText {
	t.Helper()
	got, err := feed.Next(patience(t))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A part of the regions that says the same under a newer inventory is not sent to
// everybody again; all parts are read at once by whoever begins to follow.
func TestPartsOfTheRegions(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	part := func(n int, version uint64, text string) TrustText {
		return TrustText{Kind: TrustRegions, KeyID: fmt.Sprintf("%02x", n), Version: version, Text: []byte(text)}
	}
	publish := func(t2 TrustText, want bool) {
		t.Helper()
		if got, err := b.PublishTrust(patience(t), t2); err != nil || got != want {
			t.Errorf("version %d of part %s: published %v, %v", t2.Version, t2.KeyID, got, err)
		}
	}
	const parts = 256
	for n := range parts {
		publish(part(n, 1, ""), true)
	}
	publish(part(3, 2, ""), false)
	publish(part(3, 3, "more"), true)
	publish(part(3, 2, "older"), false)
	for _, bad := range []string{"", "3", "003", "zz", "A0"} {
		if _, err := b.PublishTrust(patience(t), TrustText{Kind: TrustRegions, KeyID: bad, Version: 9}); err == nil {
			t.Errorf("part %q is published", bad)
		}
	}
	feed := follow(t, b)
	got := next(t, feed)
	if len(got) != parts {
		t.Errorf("the first look has %d parts", len(got))
	}
	for _, one := range got {
		if want := map[bool]string{true: "more"}[one.KeyID == "03"]; one.Kind != TrustRegions || string(one.Text) != want {
			t.Errorf("part %s is %q", one.KeyID, one.Text)
		}
	}
}
