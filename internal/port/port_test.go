package port

import (
	"net"
	"runtime"
	"testing"
)

// A server comes back on its port, and nobody else is given it meanwhile.
func TestAHeldPortIsForItsServerOnly(t *testing.T) {
	n := Hold(t)
	for range 3 {
		l, err := net.Listen("tcp", At(n))
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", At(n))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		l.Close()
	}
	if c, err := net.Dial("tcp", At(n)); err == nil {
		c.Close()
		t.Error("a held port took a connection without a server")
	}
	if runtime.GOOS != "linux" {
		return
	}
	const most = 30_000 // more than half of all ports there are
	for range most {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		other := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if other == n {
			t.Fatal("the system gave a held port away")
		}
	}
}
