-- Dead letters of the whole installation by code: what could not be read names no swarm.
SELECT error_code, count() AS dead_letters
FROM v_dead_letters
GROUP BY error_code
ORDER BY dead_letters DESC, error_code
