package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strings"
	"sync"
)

//go:embed static
var static embed.FS

// contents are the hashes of the files that pages load, by name.
var contents = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	err := fs.WalkDir(static, "static", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := static.ReadFile(path)
		sum := sha256.Sum256(text)
		out[strings.TrimPrefix(path, "static/")] = hex.EncodeToString(sum[:8])
		return err
	})
	if err != nil {
		panic(err) // the folder is in the binary
	}
	return out
})

// staticAddress is where a page loads a file from: another address for another
// content, so that nobody is shown a page with the style of the version before.
func staticAddress(name string) string { return "/static/" + name + "?v=" + contents()[name] }

// serveStatic lets a browser keep a file for ever that it asks for by its content,
// and has it ask again for any other: a replica of another version may answer.
func serveStatic() http.Handler {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is in the binary
	}
	next := http.StripPrefix("/static/", http.FileServerFS(files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hash := contents()[strings.TrimPrefix(r.URL.Path, "/static/")]
		w.Header().Set("Cache-Control", "no-cache")
		if hash != "" {
			w.Header().Set("ETag", `"`+hash+`"`)
			if r.URL.Query().Get("v") == hash {
				w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			}
		}
		next.ServeHTTP(w, r)
	})
}
