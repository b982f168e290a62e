/** How many pieces there are of all articles. */
export function piecesIn(articles) {
  let pieces = 0;
  for (let index = 0; index < articles.length; index++) {
    pieces += articles[index].pieces;
  }
  return pieces;
}
