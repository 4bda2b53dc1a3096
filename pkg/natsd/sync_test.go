package natsd

import (
	"testing"
	"time"
)

func TestSyncsEveryMessageUnlessToldOtherwise(t *testing.T) {
	for does, c := range map[string]struct {
		interval time.Duration
		want     bool
	}{
		"what is acknowledged is on disk":                {0, true},
		"with an interval it may be lost in a power cut": {time.Minute, false},
	} {
		s, err := Start(Options{Dir: t.TempDir(), SyncInterval: c.interval})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Shutdown()
		if got := s.ns.JetStreamConfig().SyncAlways; got != c.want || s.SyncAlways() != c.want {
			t.Errorf("%s: syncs always is %v, and it says %v", does, got, s.SyncAlways())
		}
	}
}

func TestHasMonitoringPagesOnlyWhenAsked(t *testing.T) {
	s, err := Start(Options{Dir: t.TempDir(), Port: RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	if s.MonitorURL() != "" {
		t.Errorf("monitoring pages at %s", s.MonitorURL())
	}
}
