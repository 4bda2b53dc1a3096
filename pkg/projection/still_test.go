package projection_test

import (
	"reflect"
	"sync"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/projection"
)

// A snapshot is written while the fold goes on: what is held still is read by
// somebody else, and must not move.
func TestAStillIsReadWhileTheFoldGoesOn(t *testing.T) {
	s := after(t, signing+"appeared n2 session=a-session-that-is-too-long-to-stand-in-its-place\n lost n1\n appeared n1 session=s2\n issued n1 serial=a2 ends=900\n proved n1 serial=a2")
	var readers sync.WaitGroup
	for range 20 {
		want, still := s.Image().IDs, s.Still()
		readers.Go(func() {
			for range 10 {
				var have []projection.IDImage
				for id := range still.IDs() {
					have = append(have, id)
				}
				if !reflect.DeepEqual(want, have) {
					t.Errorf("held still as %+v, and is now %+v", want, have)
				}
			}
		})
		for _, l := range lines("lost n1\n appeared n1 session=s3\n issued n1 serial=a3 ends=900\n proved n1 serial=a3\n appeared n1 key=k2\n" +
			"issued n1 serial=a4 nonce=x key=k2 ends=900\n proved n1 serial=a4 nonce=x\n appeared n1 session=s2\n issued n1 serial=a2 ends=900\n proved n1 serial=a2") {
			apply(t, s, parseLine(l).event())
		}
	}
	readers.Wait()
}
