package audit_test

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// BenchmarkAuditMillion audits an export of a fleet of 10,000 with a million
// records, or as many as AUDIT_RECORDS says. AUDIT_LOG names a file to keep the export in, which takes minutes to
// make; without it a small one is audited. Run it with GOMAXPROCS=1 and -benchtime
// 1x, once the file is there: cpu-s is then what one core has to do for it, on a
// machine that does other things as well.
func BenchmarkAuditMillion(b *testing.B) {
	name, nodes, records := os.Getenv("AUDIT_LOG"), 10_000, uint64(1_000_000)
	if n, err := strconv.ParseUint(os.Getenv("AUDIT_RECORDS"), 10, 64); err == nil {
		records = n
	}
	if name == "" {
		name, nodes, records = filepath.Join(b.TempDir(), "life.jsonl"), 200, 5_000
	}
	writeLife(b, name, nodes, records)
	for b.Loop() {
		file, err := archive.Open(name, archive.Options{})
		if err != nil {
			b.Fatal(err)
		}
		var peak uint64
		report, err := audit.Run(b.Context(), file, audit.Options{Progress: func(sequence uint64) {
			if sequence%(64<<10) == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapInuse)
			}
		}})
		if err != nil || report.MismatchesTotal > 0 {
			b.Fatal(err, report)
		}
		if err := file.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(processorTime(b).Seconds(), "cpu-s")
		b.ReportMetric(float64(report.Records), "records")
		b.ReportMetric(float64(report.Plans), "plans")
		b.ReportMetric(float64(report.Proofs), "proofs")
		b.ReportMetric(float64(peak>>20), "peak-MiB")
	}
}

// writeLife writes an export unless it is there.
func writeLife(t testing.TB, name string, nodes int, records uint64) {
	t.Helper()
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	began := time.Now()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(file, 1<<20)
	export := archive.Export{Source: newLife(t, nodes, records), Subjects: events.DefaultSubjects(), Until: records}
	_, err = export.Write(t.Context(), w)
	if err := errors.Join(err, w.Flush(), file.Close()); err != nil {
		t.Fatal(err)
	}
	t.Logf("wrote %s in %s", name, time.Since(began).Round(time.Second))
}

// processorTime is what the process has used of all cores.
func processorTime(t testing.TB) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
