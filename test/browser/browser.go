// Package browser gives tests a real browser: Chromium, headless.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Tab is a tab of a browser. What fails in it fails the test.
type Tab struct {
	t       testing.TB
	context context.Context
}

// Start starts Chromium with a profile of its own; it ends with the test. A
// missing Chromium fails the test.
func Start(t testing.TB) *Tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("Chromium is missing (run make parts): %v", err)
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true),
	)
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	tab, end := chromedp.NewContext(allocated)
	t.Cleanup(func() { end(); stop() })
	b := &Tab{t: t, context: tab}
	if err := chromedp.Do(tab); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return b
}

// patience is how long one step may take.
const patience = time.Minute

func run[T any](b *Tab, what string, a chromedp.Action[T]) T {
	b.t.Helper()
	limited, cancel := context.WithTimeout(b.context, patience)
	defer cancel()
	v, err := chromedp.Run(limited, a)
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
	return v
}

// read reads something of a part of the page. The page's own script may put the
// part anew between finding and reading it.
func read[T any](b *Tab, selector string, a chromedp.Action[T]) T {
	b.t.Helper()
	limited, cancel := context.WithTimeout(b.context, patience)
	defer cancel()
	v, err := chromedp.Run(limited, a)
	for err != nil && strings.Contains(err.Error(), "No node with given id") && limited.Err() == nil {
		v, err = chromedp.Run(limited, a)
	}
	if err != nil {
		b.t.Fatalf("read %s: %v", selector, err)
	}
	return v
}

// follow does what leads to another page, and waits for it.
func follow(b *Tab, what string, a chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	limited, cancel := context.WithTimeout(b.context, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(limited, a); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// Open goes to an address and waits for the page.
func (b *Tab) Open(address string) {
	b.t.Helper()
	run(b, "open "+address, chromedp.Navigate(address))
}

// Click clicks on what a CSS selector finds and waits for the page that follows.
func (b *Tab) Click(selector string) {
	b.t.Helper()
	follow(b, "click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Tick clicks on what leads to no other page: a box, a summary.
func (b *Tab) Tick(selector string) {
	b.t.Helper()
	run(b, "tick "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Type types a text into a field.
func (b *Tab) Type(selector, text string) {
	b.t.Helper()
	run(b, "type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Press presses keys, wherever the focus is: text, or one of package kb.
func (b *Tab) Press(keys string) {
	b.t.Helper()
	run(b, "press "+keys, chromedp.KeyEvent(keys))
}

// PressTo presses a key that leads to another page, and waits for it.
func (b *Tab) PressTo(key string) {
	b.t.Helper()
	follow(b, fmt.Sprintf("press %q", key), chromedp.KeyEvent(key))
}

// Until waits until a script says true. A page that is there may still have to
// give the focus where its markup says, as it does when it is first drawn.
func (b *Tab) Until(script string) {
	b.t.Helper()
	run(b, "wait until "+script, chromedp.Evaluate[bool](
		`new Promise(done => { const look = () => (`+script+`) ? done(true) : setTimeout(look, 20); look() })`, chromedp.EvalAwaitPromise))
}

// Text is what is read in what a selector finds.
func (b *Tab) Text(selector string) string {
	b.t.Helper()
	return read(b, selector, chromedp.Text(chromedp.CSS(selector)))
}

// HTML is the markup of what a selector finds.
func (b *Tab) HTML(selector string) string {
	b.t.Helper()
	return read(b, selector, chromedp.OuterHTML(chromedp.CSS(selector)))
}

// Title is the page's title.
func (b *Tab) Title() string {
	b.t.Helper()
	return run(b, "read the title", chromedp.Title())
}

// Address is the page's address.
func (b *Tab) Address() string {
	b.t.Helper()
	return run(b, "read the address", chromedp.Location())
}

// Evaluate runs a script in a tab, and returns its value.
func Evaluate[T any](b *Tab, script string) T {
	b.t.Helper()
	return run(b, "run a script", chromedp.Evaluate[T](script))
}

// Await runs a script in a tab, and returns what its promise comes to.
func Await[T any](b *Tab, script string) T {
	b.t.Helper()
	return run(b, "run a script", chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// Theme makes pages light or dark.
func (b *Tab) Theme(dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	run(b, "choose a theme", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// Phone makes the window as small as a phone's.
func (b *Tab) Phone() {
	b.t.Helper()
	run(b, "choose a size", chromedp.EmulateViewport(390, 844))
}

// Desktop makes the page as wide as it is on a desk, as it was at first.
func (b *Tab) Desktop() {
	b.t.Helper()
	run(b, "choose a size", chromedp.EmulateViewport(1280, 900))
}

// Picture writes a picture of the whole page into a folder, unless that is "".
func (b *Tab) Picture(folder, name string) {
	b.t.Helper()
	if folder == "" {
		return
	}
	png, err := small(run(b, "take a picture", chromedp.FullScreenshot(100)))
	if err != nil {
		b.t.Fatalf("make the picture %s small: %v", name, err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // pictures for everybody
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644); err != nil { //nolint:gosec // likewise
		b.t.Fatal(err)
	}
}
