package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/status"
)

func TestATableStaysATable(t *testing.T) {
	end := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("east", 3600))
	reason := "timeout: " + strings.Repeat("ä", 100)
	var out bytes.Buffer
	if err := nodesTable(&out, []status.Node{{ID: "a", NotAfter: &end, LastError: reason}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CREDENTIAL UNTIL (UTC)", "2026-01-02 02:04:05", "timeout: " + strings.Repeat("ä", 30) + "…\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestStatusShowsAShortDigest(t *testing.T) {
	var out bytes.Buffer
	s := status.Status{Inventory: status.Inventory{Digest: "sha256:" + strings.Repeat("0123456789abcdef", 4), Generation: 3}}
	if err := statusText(&out, s); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "inventory    generation 3, 0123456789ab\n") {
		t.Errorf("got\n%s", &out)
	}
}
