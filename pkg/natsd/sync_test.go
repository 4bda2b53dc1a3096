package natsd

import "testing"

func TestSyncsEveryMessage(t *testing.T) {
	s, err := Start(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	if !s.ns.JetStreamConfig().SyncAlways {
		t.Error("an acknowledged message could be lost in a power cut")
	}
}
