# METADATA
# title: No route
# description: A request that no route covers is refused, closed by default.
package patrol.checks.route

reasons contains "route_unknown" if not input.route
