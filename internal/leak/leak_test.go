package leak

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { Main(m) }

func TestALeakOfOurOwnIsStillFound(t *testing.T) {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		<-stop
	}()
	if err := Find(); err == nil || !strings.Contains(err.Error(), "TestALeakOfOurOwnIsStillFound") {
		t.Errorf("found %v", err)
	}
	close(stop)
	<-ended
	if err := goleak.Find(Options()...); err != nil {
		t.Error(err)
	}
}
