package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

func TestLongWorkIsToldOfOnOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var short, long bytes.Buffer
		end := busyOn(&short, "folding the log")
		time.Sleep(busyAfter / 2) // in fake time
		end()
		if short.Len() > 0 {
			t.Errorf("of what was done at once it says %q", short.String())
		}
		end = busyOn(&long, "folding the log")
		time.Sleep(2*busyAfter + busyAfter/2)
		end()
		if got, want := long.String(), "\r\x1b[Kfolding the log … 1 s\r\x1b[Kfolding the log … 2 s\r\x1b[K"; got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	})
}
