// Shows the value next to the pointer, and adds a box that shows or hides all lines of a chart.
// Without this script, each mark has a title. No "less than" and no ampersand: XML readers stop there.
(() => {
  const NEAR = 24; // pixels; arbitrary: about a finger
  const ON = 6; // over a map, whose cells are small; arbitrary: about a dot
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.hidden = true;
  document.body.append(tip);

  // A label of its own instead of the browser's.
  for (const title of document.querySelectorAll('figure title')) {
    title.parentNode.setAttribute('aria-label', title.textContent);
    title.remove();
  }

  // Place and label of each point of a drawing, in its units; read once.
  const known = new WeakMap();
  const pointsOf = svg => {
    if (!known.has(svg)) {
      const points = [];
      for (const dot of svg.querySelectorAll('circle')) {
        points.push([+dot.getAttribute('cx'), +dot.getAttribute('cy'), dot.getAttribute('aria-label')]);
      }
      for (const line of svg.querySelectorAll('[data-labels]')) {
        const labels = line.dataset.labels.split('|');
        line.getAttribute('points').split(' ').forEach((point, at) => {
          points.push([...point.split(',').map(Number), labels[at]]);
        });
      }
      known.set(svg, points);
    }
    return known.get(svg);
  };

  // Edges and counts of the cells of a map, in units of its drawing; read once.
  const cellsOf = path => {
    if (!known.has(path)) {
      const counts = path.dataset.counts.split(' ');
      const edges = path.getAttribute('d').matchAll(/M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)/g);
      known.set(path, [...edges].map((edge, at) => [...edge.slice(1).map(Number), counts[at]]));
    }
    return known.get(path);
  };

  // How many datagrams are in the cell of a map at this place.
  const countAt = (path, x, y) => {
    const place = path.ownerSVGElement.getBoundingClientRect();
    const scale = place.width / path.ownerSVGElement.viewBox.baseVal.width;
    const [across, down] = [(x - place.left) / scale, (y - place.top) / scale];
    const cell = cellsOf(path).find(([left, top, width, height]) =>
      [across - left, left + width - across, down - top, top + height - down].every(by => by >= 0));
    return cell ? cell[4] + ' datagrams' : '';
  };

  // The nearest point of the drawings of a figure, which lie on each other, in pixels.
  const nearest = (figure, x, y, near) => {
    let best = { distance: near };
    for (const svg of figure.querySelectorAll('svg')) {
      const place = svg.getBoundingClientRect();
      const scale = place.width / svg.viewBox.baseVal.width;
      if (scale > 0) {
        for (const [left, top, label] of pointsOf(svg)) {
          const at = [place.left + left * scale, place.top + top * scale];
          const distance = Math.hypot(at[0] - x, at[1] - y);
          if (best.distance > distance) best = { distance, at, label };
        }
      }
    }
    return best;
  };

  document.addEventListener('pointermove', event => {
    if (!(event.target instanceof Element)) return;
    const figure = event.target.closest('figure');
    const map = event.target.closest('[data-counts]');
    const pointer = [event.clientX, event.clientY];
    const found = figure ? nearest(figure, ...pointer, map ? ON : NEAR) : {};
    const of = event.target.closest('svg [aria-label]');
    const named = of ? of.getAttribute('aria-label') : '';
    const label = found.label || (map ? countAt(map, ...pointer) : '') || named;
    tip.hidden = !label;
    if (label) {
      const [x, y] = found.at || pointer;
      tip.textContent = label;
      const right = document.documentElement.clientWidth - tip.offsetWidth - 4;
      tip.style.left = Math.max(4, Math.min(x + 10, right)) + 'px';
      tip.style.top = Math.max(4, y - tip.offsetHeight - 10) + 'px';
    }
  });
  document.addEventListener('pointerleave', () => { tip.hidden = true; });

  for (const chart of document.querySelectorAll('.overlay div')) {
    const boxes = chart.querySelectorAll('input');
    const all = document.createElement('input');
    all.type = 'checkbox';
    all.checked = true;
    all.addEventListener('change', () => boxes.forEach(box => { box.checked = all.checked; }));
    const label = document.createElement('label');
    label.append(all, ' all');
    chart.querySelector('label').before(label);
  }
})();
