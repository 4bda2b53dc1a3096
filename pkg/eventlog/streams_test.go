package eventlog

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestStreamsAreMadeOnceByManyAtOnce(t *testing.T) {
	s := testServer(t, t.TempDir(), 0)
	var wg sync.WaitGroup
	for range 6 {
		b, err := Connect(t.Context(), Options{InProcess: s, Replicas: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		wg.Go(func() {
			for range 2 {
				if err := b.EnsureStreams(patience(t)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestOtherSettingsAreListedAndLeftAlone(t *testing.T) {
	s := testServer(t, t.TempDir(), 0)
	b, err := Connect(t.Context(), Options{InProcess: s})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	limited := b.logConfig()
	limited.Discard, limited.MaxAge, limited.DenyPurge = jetstream.DiscardOld, time.Hour, false
	purgeable := b.ingestConfig()
	purgeable.AllowRollup = true
	for _, c := range []jetstream.StreamConfig{limited, purgeable} {
		if _, err := b.js.CreateStream(patience(t), c); err != nil {
			t.Fatal(err)
		}
	}
	err = b.EnsureStreams(patience(t))
	var wrong *SettingsError
	if !errors.As(err, &wrong) {
		t.Fatalf("ensure streams: %v", err)
	}
	want := []Mismatch{
		{"FLEET", "discard", "DiscardOld", "DiscardNew"},
		{"FLEET", "max_age", "1h0m0s", "0s"},
		{"FLEET", "deny_purge", "false", "true"},
		{"FLEET_INGEST", "allow_rollup_hdrs", "true", "false"},
	}
	if len(wrong.Mismatches) != len(want) {
		t.Fatalf("mismatches: %+v", wrong.Mismatches)
	}
	for i, m := range wrong.Mismatches {
		if m != want[i] {
			t.Errorf("mismatch %+v, want %+v", m, want[i])
		}
	}
	if !strings.Contains(err.Error(), "FLEET: max_age is 1h0m0s, must be 0s;") {
		t.Errorf("text: %v", err)
	}
	info, err := b.js.Stream(patience(t), "FLEET")
	if err != nil || info.CachedInfo().Config.MaxAge != time.Hour {
		t.Errorf("the stream was changed: %v", err)
	}
}

func TestReplicas(t *testing.T) {
	s := testServer(t, t.TempDir(), 0)
	testBus(t, s, Options{})
	b, err := Connect(t.Context(), Options{InProcess: s, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var wrong *SettingsError
	if err := b.EnsureStreams(patience(t)); !errors.As(err, &wrong) || len(wrong.Mismatches) != 6 {
		t.Errorf("three replicas wanted, one there: %v", err)
	}
}

func TestTheLogCannotBePurged(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	mustAppend(t, b.Log(), appeared(1))
	s, err := b.js.Stream(patience(t), b.logStream())
	if err != nil {
		t.Fatal(err)
	}
	if s.Purge(patience(t)) == nil || s.DeleteMsg(patience(t), 1) == nil {
		t.Error("history was removed")
	}
}

// Audits read inventories years later. Who may store one must not be able to
// erase all of them with a header.
func TestInventoriesCannotBeErased(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	digest, err := b.PutInventory(patience(t), []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.js.Stream(patience(t), bucketStream+b.inventoriesBucket())
	if err != nil {
		t.Fatal(err)
	}
	for _, rollup := range []string{jetstream.MsgRollupSubject, jetstream.MsgRollupAll} {
		m := nats.NewMsg(objectChunks(b.inventoriesBucket(), "x"))
		m.Header.Set(jetstream.MsgRollup, rollup)
		if _, err := b.js.PublishMsg(patience(t), m); err == nil {
			t.Errorf("a rollup of %q is stored", rollup)
		}
	}
	if s.Purge(patience(t)) == nil || s.DeleteMsg(patience(t), 1) == nil {
		t.Error("an inventory was removed")
	}
	if text, err := b.GetInventory(patience(t), digest); err != nil || string(text) != "text" {
		t.Errorf("read %q, %v", text, err)
	}
}

func TestAwaitStreamsWaitsForWhoMakesThem(t *testing.T) {
	s := testServer(t, t.TempDir(), 0)
	waiting := make(chan struct{}, 1)
	b, err := Connect(t.Context(), Options{InProcess: s, Logger: func(event string, _ error) {
		if event == "waiting for a planner to make the streams" {
			waiting <- struct{}{}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	ended, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- b.AwaitStreams(ended) }()
	<-waiting
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	go func() { done <- b.AwaitStreams(patience(t)) }()
	<-waiting
	testBus(t, s, Options{}) // makes them
	if err := <-done; err != nil {
		t.Errorf("with streams: %v", err)
	}
	three, err := Connect(t.Context(), Options{InProcess: s, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(three.Close)
	var wrong *SettingsError
	if err := three.AwaitStreams(patience(t)); !errors.As(err, &wrong) {
		t.Errorf("with other settings: %v", err)
	}
}
