/// A stop where one goes to an address.
export function at(route, name, who, path, status = 200) {
  return { route, name, who, see: (visitor) => visitor.go(typeof path === 'function' ? path() : path, status) };
}

/// A stop that takes more than an address.
export function by(route, name, who, see) {
  return { route, name, who, see };
}

/// A stop where one unfolds what is on the page: then it moves because it was asked to.
export function unfolding(route, name, who, see) {
  return { route, name, who, see, moves: true };
}
