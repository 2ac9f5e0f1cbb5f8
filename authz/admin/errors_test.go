package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestAFullDiskSaysWhatToDo, and names no file to the caller.
func TestAFullDiskSaysWhatToDo(t *testing.T) {
	p := problem(fmt.Errorf("import: %w", &inventory.Full{Database: "/var/lib/patrol/db", Err: errors.New("disk I/O")}))
	if p.Status != http.StatusInsufficientStorage || p.Code != "no_space" || !strings.Contains(p.Detail, "nothing was changed; make room") || strings.Contains(p.Detail, "/var") {
		t.Errorf("%d %s: %s", p.Status, p.Code, p.Detail)
	}
}
